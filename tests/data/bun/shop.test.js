import { beforeAll, describe, expect, test } from "bun:test";

describe("basket", () => {
  test("adds up", () => expect(19 + 23).toBe(42));

  test("gives a discount", () => expect(100 - 10).toBe(80));

  test("divides", () => {
    throw new RangeError("division by zero");
  });

  test.skip("ships to mars", () => {});

  test.todo("wraps as a gift", () => {});
});

const rates = { EUR: 1, GBP: 0.85 };
for (const currency of ["EUR", "USD", "GBP"]) {
  test("converts", () => {
    if (!rates[currency]) throw new Error(`${currency} rate missing`);
  });
}

describe("database", () => {
  beforeAll(() => {
    throw new Error("the database does not answer");
  });

  test("stores the order", () => {});

  test("finds the order", () => {});
});
