"""Process-CPU time per frame of MediaPipe FaceLandmarker with blendshapes in video mode; prints JSON.

Runs alone, in an environment that has mediapipe: `python mediapipe_face_landmarker.py CLIP MODEL.task`.
"""

import json
import sys
import time

import cv2
import mediapipe
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision


def main() -> None:
    """Decode first, then time detection alone: `{"version": ..., "ms": [...], "faces": n}`."""
    clip, model = sys.argv[1:3]
    capture, frames = cv2.VideoCapture(clip), []
    fps = capture.get(cv2.CAP_PROP_FPS) or 30.0
    while True:
        good, bgr = capture.read()
        if not good:
            break
        frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=model),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
    )
    spent_ms, found = [], 0
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for i, rgb in enumerate(frames):
            started = time.process_time_ns()
            picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
            result = landmarker.detect_for_video(picture, round(1000 * i / fps))
            spent_ms.append((time.process_time_ns() - started) / 1e6)
            found += bool(result.face_landmarks)
    print(json.dumps({"version": mediapipe.__version__, "ms": spent_ms, "faces": found}))


if __name__ == "__main__":
    main()
