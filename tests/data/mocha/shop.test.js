const assert = require("node:assert");

describe("basket", () => {
  it("adds up", () => assert.strictEqual(19 + 23, 42));

  it("gives a discount", () => assert.strictEqual(100 - 10, 80));

  it("divides", () => {
    throw new RangeError("division by zero");
  });

  it.skip("ships to mars", () => {});

  let tries = 0;
  it("pays the second time", () => assert.strictEqual(++tries, 2)).retries(2);
});

describe("database", () => {
  before(() => {
    throw new Error("the database does not answer");
  });

  it("stores the order", () => {});
});
