const assert = require("node:assert");

describe("basket", () => {
  it("adds up", () => assert.strictEqual(19 + 23, 42));

  it("gives a discount", () => assert.strictEqual(100 - 10, 80, "the discount is <wrong> & more"));

  it("divides", () => {
    throw new RangeError("division by zero");
  });

  it.skip("ships to mars", () => {});

  const rates = { EUR: 1, GBP: 0.85 };
  for (const currency of ["EUR", "USD", "GBP"]) {
    it("converts", () => assert.ok(rates[currency], `${currency} rate missing`));
  }

  let tries = 0;
  it("pays the second time", () => assert.strictEqual(++tries, 2, "the gateway was asleep"));
});

describe("database", () => {
  before(() => {
    throw new Error("the database does not answer");
  });

  it("stores the order", () => {});

  it("finds the order", () => {});
});
