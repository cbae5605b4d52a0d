test("converts", () => {
  throw new Error("GBP is out of stock");
});
