import { beforeAll, describe, test } from "vitest";

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
