#include "face_alignment.h"

#include <algorithm>
#include <cmath>

namespace faceaffect {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kSmallestUnitPx = 1e-3;
constexpr double kSmallestScale = 1e-6;  // frame pixels per crop pixel
constexpr float kForehead = 0.3f;        // fraction of the height from brows to chin

double share_of_newest(double cutoff_hz, double step_s) {
  const double rate = 2 * kPi * cutoff_hz * step_s;
  return rate / (rate + 1);
}

}  // namespace

FacePlacement place_face(const float* landmarks, const AlignmentTemplate& constants) {
  FacePlacement face;
  double keypoints[2 * kKeypoints];
  for (int a = 0; a < kKeypoints; ++a) {
    double x = 0, y = 0;
    for (int i = 0; i < kLandmarks; ++i) {
      const float weight = constants.keypoint_weights[a][i];
      // Zero weights are skipped, so that a NaN landmark only affects the keypoints that use it.
      if (weight != 0)
        x += weight * static_cast<double>(landmarks[2 * i]),
            y += weight * static_cast<double>(landmarks[2 * i + 1]);
    }
    keypoints[2 * a] = static_cast<float>(x), keypoints[2 * a + 1] = static_cast<float>(y);
  }
  for (int k = 0; k < 6; ++k) {
    double sum = 0;
    for (int i = 0; i < 2 * kKeypoints; ++i) sum += keypoints[i] * constants.solution[i][k];
    face.crop_to_frame[k] = static_cast<float>(sum);
  }
  face.eyes_px = std::hypot(keypoints[0] - keypoints[2], keypoints[1] - keypoints[3]);
  float low[2] = {landmarks[0], landmarks[1]}, high[2] = {landmarks[0], landmarks[1]}, sum = 0;
  for (int i = 0; i < kLandmarks; ++i)
    for (int c = 0; c < 2; ++c) {
      const float value = landmarks[2 * i + c];
      low[c] = std::min(low[c], value), high[c] = std::max(high[c], value), sum += value;
    }
  face.is_finite = std::isfinite(sum);
  face.box[0] = low[0], face.box[1] = low[1] - kForehead * (high[1] - low[1]);
  face.box[2] = high[0], face.box[3] = high[1];
  return face;
}

void transform_points(const float* transforms, const float* points, int64_t count, int64_t length,
                      float* out) {
  for (int64_t n = 0; n < count; ++n, transforms += 6)
    for (int64_t i = 0; i < length; ++i, points += 2, out += 2) {
      const float x = points[0], y = points[1];
      out[0] = (x * transforms[0] + y * transforms[1]) + transforms[2];
      out[1] = (x * transforms[3] + y * transforms[4]) + transforms[5];
    }
}

bool is_plausible_motion(const float* next, const float* current, double crop_center, double width,
                         double height) {
  const double x = next[2] + crop_center * (static_cast<double>(next[0]) + next[1]);
  const double y = next[5] + crop_center * (static_cast<double>(next[3]) + next[4]);
  if (!(x >= 0 && x < width && y >= 0 && y < height)) return false;
  const double ratio = std::hypot(next[0], next[3]) /
                       std::max<double>(std::hypot(current[0], current[3]), kSmallestScale);
  return ratio > 0.5 && ratio < 2.0;
}

void pose_in_frame(const float* pose, const float* transforms, int64_t count, float* out) {
  for (int64_t n = 0; n < count; ++n, pose += 3, transforms += 6, out += 3) {
    const double crop_roll_deg = std::atan2(transforms[3], transforms[0]) * (180 / kPi);
    const double roll_deg = std::fmod(pose[2] + crop_roll_deg + 180, 360);
    out[0] = pose[0], out[1] = pose[1];
    out[2] = static_cast<float>((roll_deg < 0 ? roll_deg + 360 : roll_deg) - 180);
  }
}

void one_euro(const float* points, const float* previous, int64_t length, const OneEuroStep& step,
              OneEuroState& state, float* out) {
  double x = 0, y = 0;
  for (int64_t i = 0; i < length; ++i) {
    x += points[2 * i] - previous[2 * i];
    y += points[2 * i + 1] - previous[2 * i + 1];
  }
  const double unit =
      static_cast<double>(length) * std::max(step.unit_px, kSmallestUnitPx) * step.step_s;
  const double speed_share = share_of_newest(step.derivative_cutoff_hz, step.step_s);
  state.speed_x += speed_share * (x / unit - state.speed_x);
  state.speed_y += speed_share * (y / unit - state.speed_y);
  const double cutoff_hz =
      step.min_cutoff_hz + step.beta * std::hypot(state.speed_x, state.speed_y);
  const float weight = static_cast<float>(share_of_newest(cutoff_hz, step.step_s));
  for (int64_t i = 0; i < 2 * length; ++i)
    out[i] = previous[i] + weight * (points[i] - previous[i]);
}

}  // namespace faceaffect
