// A driver without a browser: it opens a session and closes it.
const http = require("node:http");

http
  .createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    const value = request.method === "POST" ? { sessionId: "session", capabilities: { browserName: "none" } } : null;
    response.end(JSON.stringify({ value }));
  })
  .listen(4444, "127.0.0.1");
