// Drives a real Chromium through the sites of tests/e2e/browser_test.py, which starts it:
//
//   node browse.mjs FOLDER CHROMIUM PICTURE HTTP HTTPS
//
// FOLDER has node_modules with playwright-core. Every step names what the page must say; the first
// that says something else ends it with code 1. All names of *.test and *.example are 127.0.0.1.
import {createRequire} from "node:module";
import path from "node:path";

const [folder, executablePath, picture, http, https] = process.argv.slice(2);
const {chromium} = createRequire(path.join(folder, "package.json"))("playwright-core");
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.example 127.0.0.1", "--ignore-certificate-errors"],
});
const at = (host, way = "/", scheme = "http") => `${scheme}://${host}:${scheme === "https" ? https : http}${way}`;
let steps = 0;

async function meets(page, version, url, what = "") {
  await page.goto(url, {waitUntil: "load"});
  await says(page, version, what || url);
}

async function says(page, version, what) {
  const heading = await page.textContent("h1");
  if (!heading.endsWith(` ${version}`)) throw new Error(`${what}: says ${heading}, must be ${version}`);
  console.log(`ok ${heading.padEnd(20)} ${what}`);
  ++steps;
}

async function fetched(page, version, url, what) {
  const text = await page.evaluate(async (from) => (await fetch(from, {credentials: "include"})).text(), url);
  if (!text.includes(` ${version}</h1>`)) throw new Error(`${what}: says ${text}, must be ${version}`);
  console.log(`ok ${version.padEnd(20)} ${what}`);
  ++steps;
}

try {
  const context = await browser.newContext({ignoreHTTPSErrors: true});
  const page = await context.newPage();
  await meets(page, "baseline", at("web.test"));
  await meets(page, "feature-a", at("web.test", "/cart?item=5&canarytag=feature-a"));
  await meets(page, "feature-a", at("web.test", "/other"), "the cookie keeps it there");
  await fetched(page, "feature-a", at("web.test", "/data"), "and what the page fetches");
  for (const way of ["/by-address", "/by-port", "/by-name", "/by-full-name", "/session"])
    await meets(page, "feature-a", at("web.test", way), `redirect ${way}`);
  await meets(page, "feature-a", at("web.test", `/go?to=${at("login.example", `/in?return=${at("web.test", "/page")}`)}`),
              "a login at another site of the mesh, and back");
  await meets(page, "feature-a", at("login.example"), "the other site is in the lane as well");
  await meets(page, "baseline", at("web.test", "/?canarytag=none"), "out of the lane");
  await meets(page, "baseline", at("web.test", "/other"), "also what it had in its cache");

  // Over TLS, a login elsewhere posts its answer back. localhost is no site of ours: another origin.
  await meets(page, "feature-a", at("web.test", "/?canarytag=feature-a", "https"));
  await page.goto(at("login.example", `/in-by-post?return=${at("web.test", "/acs", "https")}`, "https"));
  await page.waitForURL(at("web.test", "/acs", "https"));
  await says(page, "feature-a", "a login that posts back to it over TLS");
  const cookies = await context.cookies(at("web.test", "/", "https"));
  const lane = cookies.find((cookie) => cookie.name === "canarytag");
  if (!lane.secure || lane.sameSite !== "None") throw new Error(`cookie: ${JSON.stringify(lane)}`);

  await meets(page, "feature-a", at("web.pre.test", "/?canarytag=feature-a"));
  await meets(page, "feature-a", at("api.pre.test"), "a sibling shares the cookie");

  // Two lanes side by side: two profiles.
  const other = await (await browser.newContext()).newPage();
  await meets(other, "feature-b", at("web.test", "/?canarytag=feature-b"), "another profile, another lane");
  await meets(other, "feature-b", at("web.test", "/page"), "it stays there");
  await meets(page, "feature-a", at("web.test", "/page?again", "https"), "and the first in its own");
  await page.screenshot({path: picture});
  console.log(JSON.stringify({steps, picture}));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
