// The TypeScript SDK's client against `plenum serve`: both eras list, call with progress, and cancel. argv: node, then the command.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [command, ...args] = process.argv.slice(2);
for (const mode of ['auto', 'legacy']) {
  const client = new Client({ name: 'typescript', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport({ command, args, env: { ...process.env } }));
  const { tools } = await client.listTools();
  let told = 0;
  const result = await client.callTool(
    { name: 'generate', arguments: { prompt: `What is 6*7? ${mode}` } }, { onprogress: () => { told += 1; } });
  const left = new AbortController();
  const aborted = client.callTool(
    { name: 'generate', arguments: { prompt: 'A long story', model: 'sim/slow' } }, { signal: left.signal }).then(() => false, () => true);
  setTimeout(() => left.abort('enough'), 300);
  console.log(JSON.stringify({ mode, tools: tools.map(t => t.name), text: result.content[0].text, error: !!result.isError, told, aborted: await aborted }));
  await client.close();
}
