const assert = require("node:assert");
const { before, describe, it, test } = require("node:test");

describe("basket", () => {
  it("adds up", () => assert.strictEqual(19 + 23, 42));

  it("gives a discount", () => assert.strictEqual(100 - 10, 80, "the discount is wrong"));

  it("divides", () => {
    throw new RangeError("division by zero");
  });

  it("ships to mars", { skip: "not before spring" }, () => {});

  it("wraps as a gift", { todo: "later" }, () => assert.fail("no paper"));
});

const rates = { EUR: 1, GBP: 0.85 };
for (const currency of ["EUR", "USD", "GBP"]) {
  test("converts", () => assert.ok(rates[currency], `${currency} rate missing`));
}

describe("database", () => {
  before(() => {
    throw new Error("the database does not answer");
  });

  it("stores the order", () => {});
});

test("checkout", async (t) => {
  await t.test("asks for a card", () => {});
  await t.test("charges it", () => assert.strictEqual("declined", "accepted"));
});
