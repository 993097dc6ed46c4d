// Alignment of one face and One Euro filtering of its landmarks. NumPy definitions:
// sdk/faceaffect/kernels.
#pragma once

#include <cstdint>

namespace faceaffect {

constexpr int kLandmarks = 68;
constexpr int kKeypoints = 5;

// Constants of the alignment: keypoints = weights . landmarks; crop_to_frame = solution^T .
// keypoints (least squares).
struct AlignmentTemplate {
  float keypoint_weights[kKeypoints][kLandmarks];
  double solution[2 * kKeypoints][6];
};

struct FacePlacement {
  float crop_to_frame[6];  // row-major [2, 3]
  float box[4];            // x1, y1, x2, y2
  double eyes_px;          // between the eye centers
  bool is_finite;          // all landmarks are
};

// Aligns a face by its landmarks [68, 2] in frame pixels.
FacePlacement place_face(const float* landmarks, const AlignmentTemplate& constants);

// Transforms points [N, L, 2] by affine matrices [N, 2, 3].
void transform_points(const float* transforms, const float* points, int64_t count, int64_t length,
                      float* out);

// Returns whether the next crop (`next`, crop to frame) has its center inside a frame of this size
// and about the scale of the crop that the landmarks were predicted from (`current`). `crop_center`
// is the center of a crop in crop pixels.
bool is_plausible_motion(const float* next, const float* current, double crop_center, double width,
                         double height);

// Converts poses [N, 3] relative to crops to poses in the frame: adds the roll of crop_to_frame [N,
// 2, 3], wrapped to -180 .. 180.
void pose_in_frame(const float* pose, const float* transforms, int64_t count, float* out);

struct OneEuroState {
  double speed_x, speed_y;  // eye distances a second
};

// One step of the One Euro filter (Casiez et al., CHI 2012) over points [L, 2] that share one
// speed, from `previous` to `out`.
struct OneEuroStep {
  double unit_px, step_s, min_cutoff_hz, beta, derivative_cutoff_hz;
};
void one_euro(const float* points, const float* previous, int64_t length, const OneEuroStep& step,
              OneEuroState& state, float* out);

}  // namespace faceaffect
