#!/usr/bin/python3
"""A small stand-in for an IP camera: an RTSP server on loopback with a live, encoded test picture.

rtsp_camera.py [--frames N] [--gop N] [--bframes N] [--user U --password P]

Prints `READY rtsp://127.0.0.1:PORT/cam` when it listens (the system chooses the port). The camera starts with
its first client; after N frames it says goodbye (RTCP BYE), and the process ends when its last client left.
Debian: python3-gi, gir1.2-gst-rtsp-server-1.0; run it with /usr/bin/python3.
"""
import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

FPS = 25


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=-1, help="end after so many frames (default: never)")
    parser.add_argument("--gop", type=int, default=25, help="frames from key frame to key frame")
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    return parser.parse_args()


def launch_line(options):
    profile = "main" if options.bframes else "baseline"
    return (
        f"( videotestsrc is-live=true pattern=ball num-buffers={options.frames} "
        f"! video/x-raw,format=I420,width=320,height=240,framerate={FPS}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate=400 key-int-max={options.gop} "
        f"bframes={options.bframes} b-adapt=false ! video/x-h264,profile={profile} "
        "! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )


def require_digest(server, factory, user, password):
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    role = Gst.Structure.new_empty("user")
    for right in ("media.factory.access", "media.factory.construct"):
        role.set_value(right, True)
    factory.add_role_from_structure(role)


def main():
    options = arguments()
    Gst.init(None)
    loop = GLib.MainLoop()

    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(launch_line(options))
    factory.set_shared(True)  # one encoder for all clients, as in a camera
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    if options.user:
        require_digest(server, factory, options.user, options.password)
    server.get_mount_points().add_factory("/cam", factory)
    if options.frames >= 0:
        factory.connect("media-configure", lambda _, media: media.connect("unprepared", lambda _: loop.quit()))
    if not server.attach(None):
        sys.exit("cannot listen on 127.0.0.1")

    print(f"READY rtsp://127.0.0.1:{server.get_bound_port()}/cam", flush=True)
    loop.run()


main()
