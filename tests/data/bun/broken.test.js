import { test } from "bun:test";
import "./is-not-there";

test("never runs", () => {});
