//! Stories: one thing goes wrong, one promise holds.

use std::time::Duration;

use super::*;

#[test]
fn what_the_camera_gives_is_persisted_frame_for_frame() {
    let mut world = World::seeded(7);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}
