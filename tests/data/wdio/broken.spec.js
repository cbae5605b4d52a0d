require("./is-not-there");
