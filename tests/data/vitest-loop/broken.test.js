import "./is-not-there";
