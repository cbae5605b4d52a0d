test("never runs", () => {});
require("./is-not-there");
