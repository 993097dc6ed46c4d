// Where one face lies and how it moves on: geometry.py and smooth.py of the SDK are the definitions.
#pragma once

#include <cstdint>

namespace faceaffect {

constexpr int kLandmarks = 68;
constexpr int kAnchors = 5;

// What geometry.py knows of a face: anchors are weights . landmarks, a crop's map is solution^T . anchors.
struct FaceModel {
  float anchor_weights[kAnchors][kLandmarks];
  double solution[2 * kAnchors][6];
};

struct FacePlacement {
  float place[6];   // crop to frame, row by row
  float box[4];     // x1, y1, x2, y2
  double eyes_px;   // between the eye centers
  bool is_finite;   // all landmarks are
};

// landmarks [68, 2] in the frame
FacePlacement place_face(const float* landmarks, const FaceModel& model);

// points [N, L, 2] through maps [N, 2, 3]
void transform_points(const float* maps, const float* points, int64_t count, int64_t length, float* out);

// Whether the crop that a face asks for by `place` lies with its middle in a frame of that size, and is of about the size of
// the one that it was read in, `map`. `middle` is the crop's.
bool is_plausible_place(const float* place, const float* map, double middle, double width, double height);

// pose [N, 3] of faces upright in crops -> in the frame that maps [N, 2, 3] lead to: the roll takes the crop's on, -180 .. 180.
void pose_in_frame(const float* pose, const float* maps, int64_t count, float* out);

struct OneEuroState {
  double speed_x, speed_y;  // eye distances a second
};

// One step of the One Euro filter over points [L, 2] that share one speed, from `previous` to `out`.
struct OneEuroStep {
  double unit_px, step_s, min_cutoff_hz, beta, derivative_cutoff_hz;
};
void one_euro(const float* points, const float* previous, int64_t length, const OneEuroStep& step, OneEuroState& state,
              float* out);

}  // namespace faceaffect
