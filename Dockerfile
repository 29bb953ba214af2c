# MediaJira: web, relay, consumers, Celery. Which one it is, the command says.
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 10001 mediajira
WORKDIR /app

# What changes seldom comes first.
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY manage.py ./
COPY devops/kafka/topics.yaml devops/kafka/topics.yaml
COPY kafka_integration kafka_integration
COPY mediajira mediajira

USER mediajira
CMD ["python", "manage.py", "check"]
