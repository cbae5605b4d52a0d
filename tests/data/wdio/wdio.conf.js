exports.config = {
  runner: "local",
  hostname: "127.0.0.1",
  port: 4444,
  path: "/",
  specs: ["./*.spec.js"],
  maxInstances: 1,
  capabilities: [{ browserName: "none", "wdio:enforceWebDriverClassic": true }],
  logLevel: "error",
  framework: "mocha",
  mochaOpts: { retries: 1 },
  reporters: [["junit", { outputDir: "reports", outputFileFormat: ({ cid }) => `${cid}.xml` }]],
};
