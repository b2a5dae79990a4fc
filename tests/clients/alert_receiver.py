"""Receives what channels send: HTTPS, and an HTTP proxy that connects every host to it.

    alert_receiver.py CERTIFICATE KEY

Prints the ports of both, and then each request as a line of JSON: method, path, header fields, body; the title as the
email package decodes it, and the signature as the hmac module computes it with the key `hmac-key-0123456789`.
"""
import email.header
import hmac
import http.server
import json
import select
import socket
import ssl
import sys
import threading


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def receive(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        words = email.header.decode_header(self.headers.get("Title", ""))
        title = "".join(part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in words)
        signature = "sha256=" + hmac.new(b"hmac-key-0123456789", body, "sha256").hexdigest()
        print(json.dumps({
            "method": self.command,
            "path": self.path,
            "fields": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "title": title,
            "signature": signature,
        }), flush=True)
        if "refuse" in self.path:
            self.answer(429, {"ok": False, "description": "Too Many Requests: retry after 3"})
        else:
            self.answer(200, {"ok": True})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = receive

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(secure.server_address) as server:
            other = {self.connection: server, server: self.connection}
            while True:
                for readable in select.select(list(other), [], [])[0]:
                    piece = readable.recv(65536)
                    if not piece:
                        self.close_connection = True
                        return
                    other[readable].sendall(piece)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # The client does not read the body of a success, or has refused the certificate.


certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
secure = Server(("127.0.0.1", 0), Receiver)
secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
proxy = Server(("127.0.0.1", 0), Receiver)
threading.Thread(target=secure.serve_forever, daemon=True).start()
print(secure.server_port, proxy.server_port, flush=True)
proxy.serve_forever()
