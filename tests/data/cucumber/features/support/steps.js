const assert = require("node:assert");
const { Before, Given, Then, When } = require("@cucumber/cucumber");

let tries = 0;

Before({ tags: "@skip" }, () => "skipped");

Before({ tags: "@hook", name: "opens the store" }, () => {
  throw new Error("the store is shut");
});

Given("{int} and {int}", function (a, b) {
  this.sum = a + b;
});

Then("the sum is {int}", function (sum) {
  assert.strictEqual(this.sum, sum);
});

Given("a price of {int}", function (price) {
  this.price = price;
});

Then("the price with discount is {int}", function (wanted) {
  assert.strictEqual(this.price - 10, wanted, "the discount is <wrong> & more");
});

When("I divide by {int}", (number) => {
  if (number === 0) throw new RangeError("division by zero");
});

Then("{word} has a rate", (currency) => {
  assert.ok({ EUR: 1, GBP: 0.85 }[currency], `${currency} rate missing`);
});

Given("a database", () => {
  throw new Error("the database does not answer");
});

Given("a card without words", () => "pending");

Given("a box", () => {});

Given(/^a (box|bag)$/, () => {});

When("I pay", () => assert.strictEqual(++tries, 2, "the gateway was asleep"));
