//! Gives `gst::plugin_define!` the commit and the release date.
fn main() {
    gst_plugin_version_helper::info();
}
