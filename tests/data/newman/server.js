const http = require("node:http");

http
  .createServer((request, response) => {
    response.writeHead(request.url === "/price" ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify({ price: 90, rates: { EUR: 1, GBP: 0.85 } }));
  })
  .listen(8765, "127.0.0.1");
