import { describe, expect, test } from "bun:test";

describe("basket", () => {
  test("adds up", () => expect([1, 2]).toEqual([1, 3]));
});
