// Call functions of a client's program, as runner.py does.
const { inspect } = require("node:util");
const lines = require("node:readline").createInterface({ input: process.stdin });
const program = require(process.argv[2]);

async function call(name, ...given) {
  try {
    return { returned: await program[name](...given) };
  } catch (error) {
    return { raised: inspect(error) };
  }
}

lines.on("line", async (line) => {
  const answer = await call(...JSON.parse(line));
  process.stdout.write(JSON.stringify(answer) + "\n");
});
