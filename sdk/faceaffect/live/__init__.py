"""The live page and the server: frames in, results out, over HTTP and WebSocket.

It needs the extra `live`. `client` is for programs that use the server.
"""
