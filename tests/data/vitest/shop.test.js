import { describe, expect, test } from "vitest";

describe("basket", () => {
  test("adds up", () => expect(19 + 23).toBe(42));

  test("gives a discount", () => expect(100 - 10).toBe(80));

  test("divides", () => {
    throw new RangeError("division by zero");
  });

  test.skip("ships to mars", () => {});

  let tries = 0;
  test("pays the second time", { retry: 2 }, () => expect(++tries).toBe(2));
});
