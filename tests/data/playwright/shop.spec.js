const { expect, test } = require("@playwright/test");

test.describe("basket", () => {
  test("adds up", () => expect(19 + 23).toBe(42));

  test("gives a discount", () => expect(100 - 10).toBe(80));

  test("divides", ({}, info) => {
    if (info.project.name === "desktop") throw new RangeError("division by zero");
  });

  test.skip("ships to mars", () => {});

  test("pays the second time", ({}, info) => expect(info.retry).toBe(1));

  test("never ends", async () => {
    test.setTimeout(200);
    await new Promise(() => {});
  });
});
