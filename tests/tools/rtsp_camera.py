#!/usr/bin/python3
"""A small stand-in for an IP camera: an RTSP server on loopback with a live, encoded test picture, and a tone.

rtsp_camera.py [--frames N] [--gop N] [--bframes N] [--audio aac|pcma|pcmu] [--clock-offset S] [--tell]
               [--user U --password P]

Prints `READY rtsp://127.0.0.1:PORT/cam` when it listens (the system chooses the port). The camera starts with
its first client; after N frames it says goodbye (RTCP BYE), and the process ends when its last client left.
--clock-offset: the camera's clock, which its RTCP sender reports tell, is so many seconds ahead of ours.
--tell: sends a picture and a noise that never repeat themselves, and prints `video HASH NS` and `audio HASH NS` for
each frame that it sends: the SHA-256 of its last NAL unit or of its bytes, and when it was taken by the camera's clock,
in ns since 1970.
Debian: python3-gi, gir1.2-gst-rtsp-server-1.0; run it with /usr/bin/python3.
"""
import argparse
import hashlib
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, GObject, Gst, GstRtsp, GstRtspServer  # noqa: E402

FPS = 25
# Seconds from 1900, where NTP begins to count, to 1970.
NTP_TO_UNIX = 2_208_988_800
TELLING = threading.Lock()
# Each gives frames that arrive as they are sent.
AUDIO = {
    "aac": "avenc_aac ! aacparse ! audio/mpeg,stream-format=raw ! rtpmp4gpay",
    "pcma": "alawenc ! rtppcmapay min-ptime=20000000 max-ptime=20000000",
    "pcmu": "mulawenc ! rtppcmupay min-ptime=20000000 max-ptime=20000000",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=-1, help="end after so many frames (default: never)")
    parser.add_argument("--gop", type=int, default=25, help="frames from key frame to key frame")
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--audio", choices=AUDIO)
    parser.add_argument("--clock-offset", type=int, default=0, help="seconds")
    parser.add_argument("--tell", action="store_true", help="print each frame and when it was taken")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    return parser.parse_args()


def launch_line(options):
    profile = "main" if options.bframes else "baseline"
    video = (
        f"videotestsrc is-live=true pattern={'snow' if options.tell else 'ball'} num-buffers={options.frames} "
        f"! video/x-raw,format=I420,width=320,height=240,framerate={FPS}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate=400 key-int-max={options.gop} "
        f"bframes={options.bframes} b-adapt=false ! video/x-h264,profile={profile} "
        "! h264parse ! video/x-h264,stream-format=avc "
        "! rtph264pay name=pay0 pt=96 config-interval=-1"
    )
    if not options.audio:
        return f"( {video} )"
    # As long as the pictures: 320 samples are 20 ms.
    blocks = options.frames * 1000 // FPS // 20 if options.frames >= 0 else -1
    return (
        f"( {video} audiotestsrc is-live=true wave={'white-noise' if options.tell else 'ticks'} samplesperbuffer=320 num-buffers={blocks} "
        f"! audio/x-raw,rate=16000,channels=1 ! audioconvert ! audioresample "
        f"! audio/x-raw,rate={16000 if options.audio == 'aac' else 8000} ! {AUDIO[options.audio]} name=pay1 )"
    )


def elements(bin):
    """All elements within."""
    found, iterator = [], bin.iterate_recurse()
    while True:
        result, element = iterator.next()
        if result != Gst.IteratorResult.OK:
            return found
        found.append(element)


def set_clock(media, ahead_s):
    """Its RTCP sender reports tell a clock that is so far ahead, and when frames were taken, not when they were sent."""
    clock = GObject.new(Gst.SystemClock, clock_type=Gst.ClockType.REALTIME)
    internal = clock.get_internal_time()
    clock.set_calibration(internal, internal + (NTP_TO_UNIX + ahead_s) * Gst.SECOND, 1, 1)
    media.set_clock(clock)

    def prepared(media):
        for element in elements(media.get_element().get_parent()):
            if element.get_factory().get_name() == "rtpbin":
                element.set_property("ntp-time-source", 3)  # clock-time
                element.set_property("rtcp-sync-send-time", False)

    media.connect("prepared", prepared)


def tell(media, name):
    """Prints the frames that come to this payloader."""
    payloader = media.get_element().get_by_name(name)
    if not payloader:
        return
    pad, kind = payloader.get_static_pad("sink"), "video" if name == "pay0" else "audio"

    def comes(pad, info):
        buffer = info.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        if kind == "video":
            data = last_nal_unit(data)
        event = pad.get_sticky_event(Gst.EventType.SEGMENT, 0)
        running = event.parse_segment().to_running_time(Gst.Format.TIME, buffer.pts)
        taken = pad.get_parent_element().get_base_time() + running - NTP_TO_UNIX * Gst.SECOND
        line = f"{kind} {hashlib.sha256(data).hexdigest()} {taken}\n"
        with TELLING:  # each payloader has its thread
            sys.stdout.write(line)
            sys.stdout.flush()
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER, comes)


def last_nal_unit(data):
    at = 0
    while True:
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end >= len(data):
            return data[at + 4 :]
        at = end


def quit_when_alone(server, loop):
    """Not before the last client has its answer."""
    if server.client_filter(None, None):
        return True
    loop.quit()
    return False


def configure(media, options, server, loop):
    if options.frames >= 0:
        media.connect("unprepared", lambda _: GLib.timeout_add(20, quit_when_alone, server, loop))
    if options.clock_offset or options.tell:
        set_clock(media, options.clock_offset)
    if options.tell:
        tell(media, "pay0")
        tell(media, "pay1")


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
    factory.connect("media-configure", lambda _, media: configure(media, options, server, loop))
    if not server.attach(None):
        sys.exit("cannot listen on 127.0.0.1")

    print(f"READY rtsp://127.0.0.1:{server.get_bound_port()}/cam", flush=True)
    loop.run()


main()
