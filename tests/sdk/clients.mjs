// Calls one vendor through its Node SDK and prints what the SDK raised, as one line of JSON.
// Usage: node clients.mjs CLIENT BASE_URL
import { createRequire } from "node:module";

const require = createRequire(process.env.SDK_MODULES + "/package.json");
const [client, base] = process.argv.slice(2);
const { hostname, port } = new URL(base);

const calls = {
  "openai-node": async () => {
    const { default: OpenAI } = require("openai");
    return new OpenAI({ apiKey: "sk-test", baseURL: base + "/v1" }).models.retrieve("m");
  },
  "anthropic-node": async () => {
    const { default: Anthropic } = require("@anthropic-ai/sdk");
    return new Anthropic({ apiKey: "sk-test", baseURL: base }).models.retrieve("m");
  },
  "stripe-node": async () => {
    const Stripe = require("stripe");
    return new Stripe("sk_test_1", { host: hostname, port, protocol: "http" }).charges.retrieve("ch_1");
  },
  "octokit": async () => {
    const { Octokit } = require("octokit");
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    return new Octokit({ baseUrl: base, log: quiet }).request("GET /user");
  },
  "slack-node": async () => {
    const { WebClient, LogLevel } = require("@slack/web-api");
    const retryConfig = { retries: 2, minTimeout: 100, maxTimeout: 400 };
    const options = { slackApiUrl: base + "/api/", retryConfig, logLevel: LogLevel.ERROR };
    return new WebClient("xoxb-1", options).conversations.info({ channel: "C1" });
  },
  "aws-s3-node": async () => {
    const { S3Client, GetObjectCommand } = require("@aws-sdk/client-s3");
    const s3 = new S3Client({ ...aws, forcePathStyle: true });
    return s3.send(new GetObjectCommand({ Bucket: "b", Key: "k" }));
  },
  "aws-dynamodb-node": async () => {
    const { DynamoDBClient, GetItemCommand } = require("@aws-sdk/client-dynamodb");
    const command = new GetItemCommand({ TableName: "t", Key: { id: { S: "1" } } });
    return new DynamoDBClient(aws).send(command);
  },
};
const aws = {
  endpoint: base,
  region: "us-east-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
};

try {
  await calls[client]();
  print({ raised: null });
} catch (error) {
  const code = error.code ?? error.data?.error ?? error.error?.code ?? error.Code ?? null;
  const raised = error.constructor?.name === "Error" ? error.name : error.constructor?.name;
  print({
    raised: error.name && error.name !== "Error" ? error.name : raised,
    message: error.message ?? String(error),
    code: code === null ? null : String(code),
  });
}

// Some SDKs leave a connection open that would keep the process alive.
function print(result) {
  process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
}
