#include "face_geometry.h"

#include <algorithm>
#include <cmath>

namespace faceaffect {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kSmallestUnitPx = 1e-3;
constexpr double kSmallestScale = 1e-6;  // frame pixels a crop pixel
constexpr float kForehead = 0.3f;  // of the height from brows to chin

double share_of_newest(double cutoff_hz, double step_s) {
  const double rate = 2 * kPi * cutoff_hz * step_s;
  return rate / (rate + 1);
}

}  // namespace

FacePlacement place_face(const float* landmarks, const FaceModel& model) {
  FacePlacement face;
  double anchors[2 * kAnchors];
  for (int a = 0; a < kAnchors; ++a) {
    double x = 0, y = 0;
    for (int i = 0; i < kLandmarks; ++i) {
      const float weight = model.anchor_weights[a][i];
      // A landmark that is not a number matters where it is asked for only, as in a product by 0 left out.
      if (weight != 0) x += weight * static_cast<double>(landmarks[2 * i]), y += weight * static_cast<double>(landmarks[2 * i + 1]);
    }
    anchors[2 * a] = static_cast<float>(x), anchors[2 * a + 1] = static_cast<float>(y);
  }
  for (int k = 0; k < 6; ++k) {
    double sum = 0;
    for (int i = 0; i < 2 * kAnchors; ++i) sum += anchors[i] * model.solution[i][k];
    face.place[k] = static_cast<float>(sum);
  }
  face.eyes_px = std::hypot(anchors[0] - anchors[2], anchors[1] - anchors[3]);
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

void transform_points(const float* maps, const float* points, int64_t count, int64_t length, float* out) {
  for (int64_t n = 0; n < count; ++n, maps += 6)
    for (int64_t i = 0; i < length; ++i, points += 2, out += 2) {
      const float x = points[0], y = points[1];
      out[0] = (x * maps[0] + y * maps[1]) + maps[2];
      out[1] = (x * maps[3] + y * maps[4]) + maps[5];
    }
}

bool is_plausible_place(const float* place, const float* map, double middle, double width, double height) {
  const double x = place[2] + middle * (static_cast<double>(place[0]) + place[1]);
  const double y = place[5] + middle * (static_cast<double>(place[3]) + place[4]);
  if (!(x >= 0 && x < width && y >= 0 && y < height)) return false;
  const double ratio = std::hypot(place[0], place[3]) / std::max<double>(std::hypot(map[0], map[3]), kSmallestScale);
  return ratio > 0.5 && ratio < 2.0;
}

void pose_in_frame(const float* pose, const float* maps, int64_t count, float* out) {
  for (int64_t n = 0; n < count; ++n, pose += 3, maps += 6, out += 3) {
    const double leant = std::atan2(maps[3], maps[0]) * (180 / kPi);
    const double turn = std::fmod(pose[2] + leant + 180, 360);
    out[0] = pose[0], out[1] = pose[1];
    out[2] = static_cast<float>((turn < 0 ? turn + 360 : turn) - 180);
  }
}

void one_euro(const float* points, const float* previous, int64_t length, const OneEuroStep& step, OneEuroState& state,
              float* out) {
  double x = 0, y = 0;
  for (int64_t i = 0; i < length; ++i) {
    x += points[2 * i] - previous[2 * i];
    y += points[2 * i + 1] - previous[2 * i + 1];
  }
  const double unit = static_cast<double>(length) * std::max(step.unit_px, kSmallestUnitPx) * step.step_s;
  const double speed_share = share_of_newest(step.derivative_cutoff_hz, step.step_s);
  state.speed_x += speed_share * (x / unit - state.speed_x);
  state.speed_y += speed_share * (y / unit - state.speed_y);
  const double cutoff_hz = step.min_cutoff_hz + step.beta * std::hypot(state.speed_x, state.speed_y);
  const float share = static_cast<float>(share_of_newest(cutoff_hz, step.step_s));
  for (int64_t i = 0; i < 2 * length; ++i) out[i] = previous[i] + share * (points[i] - previous[i]);
}

}  // namespace faceaffect
