"""A ROS 2 node: images in, faces out as JSON: `python examples/ros2_node.py`.

Subscribes to `image` (sensor_msgs/Image, bgr8, rgb8 or mono8) and publishes `faces`
(std_msgs/String). Remap the topics as usual: `--ros-args -r image:=/camera/image_raw`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

import faceaffect as fa

FORMATS = {"bgr8": fa.PixelFormat.BGR, "rgb8": fa.PixelFormat.RGB, "mono8": fa.PixelFormat.GRAY}


class FaceNode(Node):  # type: ignore[misc]
    """Analyzes the newest image; those that come in the meantime are dropped by the queue."""

    def __init__(self) -> None:
        super().__init__("faceaffect")
        self.pipeline = fa.open_pipeline()
        self.publisher = self.create_publisher(String, "faces", 10)
        self.create_subscription(Image, "image", self.analyze, qos_profile_sensor_data)

    def analyze(self, image: Any) -> None:
        """Publish the faces of an image, with its own time stamp."""
        if image.encoding not in FORMATS:
            raise ValueError(f"expected one of {list(FORMATS)}, got {image.encoding}")
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        shape = (image.height, image.width, -1) if image.encoding != "mono8" else (image.height, -1)
        pixels = rows[:, : image.width * (3 if image.encoding != "mono8" else 1)].reshape(shape)
        time_s = image.header.stamp.sec + 1e-9 * image.header.stamp.nanosec
        frame = fa.Frame(np.ascontiguousarray(pixels), FORMATS[image.encoding], time_s=time_s)
        faces, affect = self.pipeline.analyze(frame)
        people = [
            {"track_id": int(faces.track_id[k]), "au": affect.au_probability[k].round(3).tolist()}
            for k in range(len(faces))
        ]
        self.publisher.publish(String(data=json.dumps({"time_s": time_s, "faces": people})))


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(FaceNode())
