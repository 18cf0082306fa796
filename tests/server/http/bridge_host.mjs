// A host of MCP Apps by the official packages: client, bridge and transport are theirs; only the wiring is here.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { AppBridge, PostMessageTransport, RESOURCE_MIME_TYPE, getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";

const CSP = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
const me = { name: "bridge-test", version: "1" };

window.show = async (name, args) => {
  const capabilities = { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: [RESOURCE_MIME_TYPE] } } };
  const client = new Client(me, { capabilities });
  await client.connect(new StreamableHTTPClientTransport(new URL("/mcp", location.href)));
  const tool = (await client.listTools()).tools.find(one => one.name === name);
  const [view] = (await client.readResource({ uri: getToolUiResourceUri(tool) })).contents;
  const frame = document.createElement("iframe");
  frame.id = "view";
  frame.setAttribute("sandbox", "allow-scripts");
  document.body.append(frame);
  const hostContext = { theme: "dark", styles: { variables: { "--color-background-primary": "#102030" } } };
  const bridge = new AppBridge(client, me, { serverTools: {}, openLinks: {} }, { hostContext });
  const seen = (window.seen = { sizes: [], mime: view.mimeType, expected: RESOURCE_MIME_TYPE, app: null });
  bridge.onsizechange = size => seen.sizes.push(size);
  const ready = new Promise(done => { bridge.oninitialized = done; });
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.srcdoc = view.text.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${CSP}">`);
  await ready;
  seen.app = bridge.getAppVersion();
  await bridge.sendToolInput({ arguments: args });
  await bridge.sendToolResult(await client.callTool({ name, arguments: args }));
  window.light = () => bridge.setHostContext({ ...hostContext, theme: "light" });
  window.close_ = () => bridge.teardownResource({});
};
