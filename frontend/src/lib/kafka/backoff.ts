/** How long to wait between two tries. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Return the pause before the next try: random between nothing and a bound that doubles each time
 * ("full jitter"), and never less than the server asks for.
 *
 * @param failures how many tries have failed, from 1.
 * @param retryAfterMs what the server asks for.
 * @param random from 0 to 1.
 */
export function pauseMs(
  backoff: Backoff,
  failures: number,
  retryAfterMs: number,
  random: number,
): number {
  const bound = Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.max(bound * random, retryAfterMs);
}
