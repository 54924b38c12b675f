#!/usr/bin/env node
// Runs two commands in one sandbox at the same time, one of them with input.
//
// Needs kavach in PATH, and nothing but Node itself. docs/session.md describes
// what goes over the pipe.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

class Session {
  #kavach = spawn("kavach", ["session"], { stdio: ["pipe", "pipe", "inherit"] });
  #waiting = new Map(); // id of a request → what its reply settles
  #running = new Map(); // number of a command → what its events go to
  #early = []; // events of commands that nobody has the number of yet
  #lastId = 0;

  constructor() {
    createInterface({ input: this.#kavach.stdout }).on("line", (line) => {
      const message = JSON.parse(line);
      if (message.event) this.#event(message);
      else this.#reply(message);
    });
  }

  #reply({ id, result, error }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(`${error.code}: ${error.message}`));
    else resolve(result);
  }

  #event(event) {
    const command = this.#running.get(event.exec);
    if (!command) this.#early.push(event);
    else if (event.event === "stdout") command.output += event.data;
    else if (event.event === "exit") command.resolve([command.output, event.exit_code]);
  }

  // Sends a request, and promises its result.
  request(method, params = {}) {
    const id = ++this.#lastId;
    this.#kavach.stdin.write(JSON.stringify({ id, method, params }) + "\n");
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  // Runs a command to its end, and promises its output and exit code.
  async run(args, stdin) {
    const { exec } = await this.request("exec", { args, stdin: stdin !== undefined });
    const end = new Promise((resolve) => this.#running.set(exec, { output: "", resolve }));
    for (const event of this.#early.splice(0)) this.#event(event);
    if (stdin !== undefined) await this.request("stdin", { exec, data: stdin, eof: true });
    return end;
  }

  // Ends the sandbox.
  close() {
    this.#kavach.stdin.end();
  }
}

const session = new Session();
try {
  const { score } = await session.request("create", { policy: "basic", backend: process.argv[2] ?? "auto" });
  console.log("score", score.value);
  const results = await Promise.all([
    session.run(["sh", "-c", "echo six times seven is $((6*7)); exit 3"]),
    session.run(["tr", "a-z", "A-Z"], "hello from outside\n"),
  ]);
  for (const [output, code] of results) process.stdout.write(`exit ${code}: ${output}`);
} finally {
  session.close();
}
