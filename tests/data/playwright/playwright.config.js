module.exports = {
  retries: 1,
  workers: 1,
  projects: [{ name: "desktop" }, { name: "phone" }],
  reporter: [
    ["junit", { outputFile: "report.xml" }],
    ["playwright-ctrf-json-reporter", { outputDir: ".", outputFile: "ctrf.json" }],
  ],
};
