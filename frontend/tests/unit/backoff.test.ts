import { expect, test } from "vitest";
import { pauseMs } from "../../src/lib/kafka/backoff.ts";

const backoff = { firstMs: 100, longestMs: 1000 };

test("the bound doubles up to the longest pause", () => {
  const bounds = [1, 2, 3, 4, 5, 1000].map((failures) => pauseMs(backoff, failures, 0, 1));
  expect(bounds).toEqual([100, 200, 400, 800, 1000, 1000]);
});

test("the pause is anywhere below the bound, and never less than the server asks for", () => {
  expect(pauseMs(backoff, 3, 0, 0)).toBe(0);
  expect(pauseMs(backoff, 3, 0, 0.5)).toBe(200);
  expect(pauseMs(backoff, 3, 5000, 0.5)).toBe(5000);
});
