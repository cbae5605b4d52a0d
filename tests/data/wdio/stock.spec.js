const assert = require("node:assert");

describe("basket", () => {
  it("adds up", () => assert.deepStrictEqual([1, 2], [1, 3]));
});
