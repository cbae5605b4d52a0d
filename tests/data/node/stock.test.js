const assert = require("node:assert");
const { describe, it } = require("node:test");

describe("basket", () => {
  it("adds up", () => assert.deepStrictEqual([1, 2], [1, 3]));
});
