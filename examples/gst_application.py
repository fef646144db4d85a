#!/usr/bin/python3
"""A GStreamer application in Python with kvssink: gst_application.py STREAM [frames]

What kvssink tells comes as element messages on the bus, and its property `stats` has the numbers; here all of it becomes
plain values. GST_PLUGIN_PATH names the folder of libgstkvssink.so. Credentials, region and CONTROL_PLANE_URI come from the
environment, as for the element everywhere; the README has all properties, messages and fields.
Debian: python3-gi, gir1.2-gstreamer-1.0; run it with /usr/bin/python3.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

# A key frame each second: each begins a fragment.
LAUNCH = (
    "videotestsrc is-live=true num-buffers={frames}"
    " ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 option-string=scenecut=0"
    " ! h264parse ! kvssink name=sink stream-name={stream}"
)


def plain(value):
    """A structure, and what is in it, as a dictionary."""
    if not isinstance(value, Gst.Structure):
        return value
    names = (value.nth_field_name(n) for n in range(value.n_fields()))
    return {name: plain(value.get_value(name)) for name in names}


def tell(name, fields):
    """One line for what one message says."""
    if name == "kvs-fragment-ack":
        print("ack", fields["type"], fields["timecode"], fields["fragment-number"])
    elif name == "kvs-frames-dropped":
        print("dropped", fields["frames"], fields["reason"])
    elif name.startswith("kvs-"):
        print(name, *(f"{field}={value}" for field, value in fields.items()))


def watch(pipeline):
    """Until EOS, when everything is PERSISTED; or what went wrong."""
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.WARNING | Gst.MessageType.ELEMENT
    while True:
        message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, kinds)
        if message.type == Gst.MessageType.EOS:
            return None
        if message.type == Gst.MessageType.ERROR:
            return message.parse_error()[0].message
        if message.type == Gst.MessageType.WARNING:
            print("warning", message.parse_warning()[0].message)
        else:
            told = message.get_structure()
            tell(told.get_name(), plain(told))


def main(stream, frames="250"):
    Gst.init(None)
    pipeline = Gst.parse_launch(LAUNCH.format(stream=stream, frames=int(frames)))
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    error = watch(pipeline)
    # Sends what is left, within `stop-stream-timeout`. At EOS nothing is.
    pipeline.set_state(Gst.State.NULL)
    for name, value in plain(sink.get_property("stats")).items():
        print("stats", name, value)
    return error


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: gst_application.py STREAM [frames]")
    sys.exit(main(*sys.argv[1:]))
