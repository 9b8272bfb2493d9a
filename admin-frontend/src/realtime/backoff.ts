/**
 * Return how long to wait before the n-th attempt (1, 2, …), ms.
 *
 * Exponential with full jitter: a thousand browsers that lost their node together are spread over the whole time, which
 * half a jitter would not do (AWS, "Exponential Backoff and Jitter").
 */
export function backoff(attempt: number, base: number, max: number, random: () => number): number {
  return random() * Math.min(max, base * 2 ** Math.min(attempt - 1, 30));
}
