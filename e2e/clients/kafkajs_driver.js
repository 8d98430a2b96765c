// KafkaJS, as driver.py describes a driver. It leaves snappy, LZ4 and Zstandard to other packages.
// NODE_PATH names the folder of the packages.
"use strict";
const readline = require("node:readline");
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");
const { version } = require("kafkajs/package.json");
const lz4 = require("lz4js");
const xxh32 = require("lz4js/xxh32");
const snappy = require("snappyjs");
const { ZstdCodec } = require("zstd-codec");

const DEADLINE = 30_000; // milliseconds for any one thing
const bootstrap = process.argv[2];
const log = () => ({ label, log }) => console.error(label, JSON.stringify(log));
const settings = { brokers: bootstrap.split(","), logLevel: logLevel.WARN, logCreator: log };
const members = new Map();

const codec = (compress, decompress) => () => ({
  compress: async (encoder) => Buffer.from(await compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(await decompress(buffer)),
});
const zstd = new Promise((ready) => ZstdCodec.run((module) => ready(new module.Simple())));
// Its frames say that blocks may depend on each other, which Kafka refuses. A batch here is one block.
function independent(frame) {
  frame[4] |= 0x20;
  frame[6] = xxh32.hash(0, frame, 4, 2) >> 8;
  return frame;
}
CompressionCodecs[CompressionTypes.LZ4] = codec((buffer) => independent(lz4.compress(buffer)), lz4.decompress);
CompressionCodecs[CompressionTypes.ZSTD] = codec(async (b) => (await zstd).compress(b), async (b) => (await zstd).decompress(b));
// Kafka's snappy is in blocks, each behind its length, after a header; a bare block is understood, too.
const MAGIC = Buffer.from([0x82, ...Buffer.from("SNAPPY"), 0]);
CompressionCodecs[CompressionTypes.Snappy] = codec(snappy.compress, (buffer) => {
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
    return snappy.uncompress(buffer);
  }
  const blocks = [];
  for (let at = 16; at < buffer.length; ) {
    const size = buffer.readUInt32BE(at);
    blocks.push(snappy.uncompress(buffer.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
});

const text = (buffer) => (buffer === null || buffer === undefined ? null : buffer.toString());

function headers(pairs) {
  const named = {};
  for (const [name, value] of pairs) {
    (named[name] ??= []).push(value);
  }
  return named;
}

function read(partition, message) {
  const pairs = Object.entries(message.headers ?? {});
  return {
    key: text(message.key),
    value: text(message.value),
    headers: pairs.flatMap(([name, values]) => [values].flat().map((value) => [name, text(value)])),
    place: [partition, Number(message.offset)],
  };
}

async function inTime(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), DEADLINE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A member of a group; `each(record)` is called with each record, and what it answers false to is not committed.
async function consumer(topic, groupId, clientId, each) {
  const member = new Kafka({ ...settings, clientId }).consumer({
    groupId, heartbeatInterval: 300, maxWaitTimeInMs: 200, rebalanceTimeout: 10_000,
  });
  await member.connect();
  await member.subscribe({ topic, fromBeginning: true });
  await member.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets, isRunning }) => {
      for (const message of batch.messages) {
        if (!isRunning() || !each(read(batch.partition, message))) {
          break;
        }
        resolveOffset(message.offset);
      }
      await commitOffsetsIfNecessary(uncommittedOffsets());
      await heartbeat();
    },
  });
  return member;
}

// The next `count` records of a group.
async function next(topic, groupId, count) {
  const records = [];
  let done;
  const all = new Promise((resolve) => (done = resolve));
  const member = await consumer(topic, groupId, "kafkajs", (record) => {
    if (records.length === count) {
      return false;
    }
    records.push(record);
    if (records.length === count) {
      done();
    }
    return true;
  });
  try {
    await inTime(`${count} records`, all);
  } finally {
    await member.disconnect(); // waits for the batch at hand, which commits
  }
  return records;
}

async function withAdmin(use) {
  const admin = new Kafka(settings).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

const CODECS = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD,
};
const entries = (named) => Object.entries(named).map(([name, value]) => ({ name, value }));

const client = {
  version: async () => version,

  async produce({ topic, records, codec, idempotent }) {
    const producer = new Kafka(settings).producer({ idempotent });
    await producer.connect();
    // It tells the first offset of each partition only, so places are not told.
    await producer.send({
      topic, acks: -1, compression: CODECS[codec],
      messages: records.map((r) => ({ key: r.key, value: r.value, headers: headers(r.headers) })),
    });
    await producer.disconnect();
    return [];
  },

  // KafkaJS reads in groups only, so this is one that nobody else has.
  consume: ({ topic, count }) => next(topic, `none-${Date.now()}`, count),
  resume: ({ topic, group, count }) => next(topic, group, count),

  async join({ topic, group, member }) {
    const records = [];
    const joined = await consumer(topic, group, member, (record) => records.push(record));
    members.set(member, { joined, records });
    return null;
  },
  seen: async ({ member }) => members.get(member).records,
  async leave({ member }) {
    await members.get(member).joined.disconnect();
    members.delete(member);
    return null;
  },

  async create({ topic, partitions, settings }) {
    await withAdmin((admin) => admin.createTopics({
      topics: [{ topic, numPartitions: partitions, configEntries: entries(settings) }],
    }));
    return null;
  },
  describe: ({ topic }) => withAdmin(async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0].partitions.length;
  }),
  settings: ({ topic }) => withAdmin(async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    const known = resources[0].configEntries.filter((entry) => entry.configValue !== null);
    return Object.fromEntries(known.map((entry) => [entry.configName, entry.configValue]));
  }),
  async alter({ topic, settings }) {
    await withAdmin((admin) => admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: entries(settings) }],
    }));
    return null;
  },
  async delete({ topic }) {
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    return null;
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, ...question } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: await client[op](question) };
    } catch (error) {
      answer = { error: `${error.name}: ${error.message}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
})();
