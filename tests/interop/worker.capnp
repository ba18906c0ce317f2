# The tutorial's Worker in the Workers runtime, its KV namespace a directory. `kv` and the port come from the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "kv", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  serviceWorkerScript = embed "worker.js",
  # from 2026 on text() takes a byte-order mark away; the tutorial's deployments are older
  compatibilityDate = "2025-10-01",
  bindings = [(name = "TEMPERATURES", kvNamespace = "kv")],
);
