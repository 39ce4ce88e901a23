"""fake_hub.py - a small server with the Hugging Face hub's paths, headers, redirects and errors, for tests. Python's standard library.

    with Hub({"o/m": {"config.json": b"{}", "model.safetensors": b"..."}}) as hub:   # environment: hub.environment
Files from `large` bytes on are LFS: /resolve/ answers 302 to another port (the CDN), which knows ranges. What should go wrong is
set on the hub before a command runs; `hub.log` holds (server, method, path, headers) of every request.
"""
import hashlib
import json
import re
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = 1000


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Hub:
    def __init__(self, repositories, certificate=None):
        self.revisions = {name: {"main": dict(files)} for name, files in repositories.items()}
        self.tags = {}
        self.log = []
        self.token = None           # who has another may not read the repositories in `gated` and `private`
        self.gated, self.private = set(), set()
        self.siblings = True        # False: a mirror that lists files only as a tree
        self.blobs = True           # False: siblings without sizes and hashes
        self.hashes = True          # False: no hash anywhere
        self.page = 1000            # files of a page of the tree
        self.tree = True
        self.ranges = True          # the CDN knows ranges
        self.renamed = {}           # old name: new name
        self.faults = []            # functions (server, handler) → True when they have answered; the first that does
        self.serve = {}             # path in a repository: other bytes than the list promises
        self.slow = 0.0             # seconds between pieces of the CDN
        self.listing = None         # replaces the answer of the API
        self.codes = True           # X-Error-Code, which mirrors may not send
        self.etag = ""              # of the CDN; by default of the content
        self.servers = [_server(self, "hub", certificate), _server(self, "cdn", certificate)]
        scheme = "https" if certificate else "http"
        self.endpoint, self.cdn = (f"{scheme}://localhost:{s.server_address[1]}" for s in self.servers)

    def environment(self, data, **more):
        return {"HF_ENDPOINT": self.endpoint, "XDG_DATA_HOME": data, "HOME": data, "HF_HOME": data, "HF_TOKEN": "",
                "HF_TOKEN_PATH": "", "HF_HUB_OFFLINE": "", "NO_PROXY": "*", "no_proxy": "*", **more}

    def requests(self, part="", server=None):
        return [entry for entry in self.log if part in entry[2] and server in (None, entry[0])]

    def fail(self, times, answer, match="/resolve/", server=None):
        """The first `times` requests whose path holds `match` are answered by answer(handler)."""
        left = [times]

        def fault(name, handler):
            if left[0] <= 0 or match not in handler.path or server not in (None, name):
                return False
            left[0] -= 1
            answer(handler)
            return True
        self.faults.append(fault)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def _server(hub, name, certificate):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            hub.log.append((name, "GET", self.path, dict(self.headers)))
            try:
                if any(fault(name, self) for fault in hub.faults):
                    return
                _hub(hub, self) if name == "hub" else _cdn(hub, self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()
    return server


def answer(handler, status, body=b"", **headers):
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def error(hub, handler, status, code, message):
    answer(handler, status, json.dumps({"error": message}).encode(), **({"X_Error_Code": code, "X_Error_Message": message} if hub.codes else {}))


def _allowed(hub, handler, repository):
    given = handler.headers.get("Authorization")
    good = hub.token is not None and given == f"Bearer {hub.token}"
    if repository not in hub.revisions or (repository in hub.private and not good):
        if given is None:
            error(hub, handler, 401, "RepoNotFound", "Repository not found")
        else:
            error(hub, handler, 404, "RepoNotFound", "Repository not found")
        return False
    if repository in hub.gated and not good and "/resolve/" in handler.path:
        error(hub, handler, 403 if given else 401, "GatedRepo", f"Access to model {repository} is restricted.")
        return False
    return True


def _files(hub, repository, revision):
    """(commit, files) of a branch, tag or commit."""
    for name, files in hub.revisions[repository].items():
        commit = hashlib.sha1(json.dumps([repository, name, sorted((p, sha256(d)) for p, d in files.items())]).encode()).hexdigest()
        if revision in (name, commit):
            return commit, files
    return None, None


def _hub(hub, handler):
    url = urllib.parse.urlsplit(handler.path)
    path, query = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
    for old, new in hub.renamed.items():
        if f"/{old}/" in path:
            return answer(handler, 307, Location=handler.path.replace(old, new))
    if path == "/api/models":
        return answer(handler, 200, json.dumps([{"id": name} for name in hub.revisions if name.startswith(query["author"] + "/")]).encode())
    found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|refs)(?:/(.+))?)?", path)
    if found:
        repository, what, revision = found.groups()
        if not _allowed(hub, handler, repository):
            return
        if what is None:
            return answer(handler, 200, b"{}")
        if what == "refs":
            return answer(handler, 200, json.dumps({"branches": [{"name": n} for n in hub.revisions[repository]], "tags": []}).encode())
        commit, files = _files(hub, repository, revision)
        if commit is None:
            return error(hub, handler, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if hub.listing is not None:
            return answer(handler, 200, hub.listing)
        return _siblings(hub, handler, repository, commit, files, query) if what == "revision" else _tree(hub, handler, files, query)
    found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
    if not found:
        return error(hub, handler, 404, "", "Not found")
    repository, revision, name = found.groups()
    if not _allowed(hub, handler, repository):
        return
    commit, files = _files(hub, repository, revision)
    if commit is None:
        return error(hub, handler, 404, "RevisionNotFound", "Invalid rev id")
    if name not in files:
        return error(hub, handler, 404, "EntryNotFound", "Entry not found")
    data = files[name]
    if len(data) >= LARGE:
        told = {"X_Linked_Etag": f'"{sha256(data)}"', "X_Linked_Size": str(len(data))} if hub.hashes else {}
        return answer(handler, 302, b"Found. Redirecting", Location=f"{hub.cdn}/blobs/{repository}/{commit}/{name}?signature=x%2Fy", X_Repo_Commit=commit, **told)
    body = hub.serve.get(name, data)
    answer(handler, 200, body, X_Repo_Commit=commit, **({"ETag": f'"{git_sha1(data)}"'} if hub.hashes else {}))


def _siblings(hub, handler, repository, commit, files, query):
    entries = []
    for path, data in files.items():
        entry = {"rfilename": path}
        if hub.blobs and query.get("blobs"):
            entry["size"] = len(data)
            if hub.hashes:
                entry["blobId"] = git_sha1(data if len(data) < LARGE else b"pointer")
            if len(data) >= LARGE and hub.hashes:
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
        entries.append(entry)
    about = {"id": repository, "sha": commit, "gated": repository in hub.gated and "auto"}
    if hub.siblings:
        about["siblings"] = entries
    answer(handler, 200, json.dumps(about).encode())


def _tree(hub, handler, files, query):
    if not hub.tree:
        return error(hub, handler, 404, "", "Not found")
    names = sorted(files)
    begin = int(query.get("cursor", 0))
    entries = []
    for name in names[begin:begin + hub.page]:
        data = files[name]
        entry = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data if len(data) < LARGE else b"pointer")}
        if len(data) >= LARGE:
            entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
        entries.append(entry)
    entries.append({"type": "directory", "path": "sub", "size": 0, "oid": "0" * 40})
    more = {}
    if begin + hub.page < len(names):
        page = handler.path.split("?")[0]
        more["Link"] = f'<{hub.endpoint}{page}?recursive=true&cursor={begin + hub.page}>; rel="next"'
    answer(handler, 200, json.dumps(entries).encode(), **more)


def _cdn(hub, handler):
    path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
    repository, commit, name = re.fullmatch(r"/blobs/([^/]+/[^/]+)/([^/]+)/(.+)", path).groups()
    data = hub.serve.get(name, _files(hub, repository, commit)[1][name])
    etag = hub.etag or f'"cdn-{sha256(data)[:16]}"'
    begin, status, more = 0, 200, {}
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if asked and hub.ranges and handler.headers.get("If-Range", etag) == etag:
        begin, status = int(asked[1]), 206
        if begin >= len(data):
            return answer(handler, 416, Content_Range=f"bytes */{len(data)}")
        more["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    handler.send_response(status)
    for key, value in {"ETag": etag, "Content-Length": str(len(data) - begin), **more}.items():
        handler.send_header(key, value)
    handler.end_headers()
    piece = 65536
    for at in range(begin, len(data), piece):
        handler.wfile.write(data[at:at + piece])
        if hub.slow:
            time.sleep(hub.slow)


def cut_after(size, data, **headers):
    """An answer that promises all of `data` and ends after `size` bytes."""
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(data[:size])
        handler.close_connection = True
    return cut
