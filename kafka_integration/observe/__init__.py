"""What people and machines see of a running system: metrics, health, logs.

It listens to signals and reads models; nothing below knows it. Metrics need the package
``prometheus-client``, the extra ``metrics``. ``watching``, ``views`` and ``urls`` import it when it
is needed, so that a project without metrics does without it.
"""
