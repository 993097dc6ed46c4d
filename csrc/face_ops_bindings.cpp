#include "face_ops_bindings.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "appearance.h"
#include "arguments.h"
#include "decode_scores.h"
#include "face_alignment.h"
#include "shot_grid.h"

namespace faceaffect {

namespace {

using Shape = std::vector<py::ssize_t>;
using BoolArray = py::array_t<bool, py::array::c_style>;
constexpr py::ssize_t kAny = -1;

FloatArray take(py::handle value, const char* name, const Shape& expected) {
  FloatArray array = FloatArray::ensure(value);
  if (!array) PyErr_Clear();
  bool fits = array && array.ndim() == static_cast<py::ssize_t>(expected.size());
  for (size_t i = 0; fits && i < expected.size(); ++i)
    fits = expected[i] == kAny || array.shape(static_cast<py::ssize_t>(i)) == expected[i];
  if (fits) return array;
  std::string text;
  for (const py::ssize_t size : expected)
    text += (text.empty() ? "" : ", ") + (size == kAny ? std::string("N") : std::to_string(size));
  throw py::value_error(std::string(name) + " must be float32 [" + text + "], got " +
                        describe(value));
}

// Output memory is modified in place, so it must already have the right type.
template <typename Array>
Array writable_argument(py::handle value, const char* name, py::ssize_t size) {
  if (py::isinstance<Array>(value)) {
    auto array = py::reinterpret_borrow<Array>(value);
    if (is_writable_aligned(array) && array.ndim() == 1 && array.shape(0) == size) return array;
  }
  throw py::value_error(std::string(name) + " must be a writable, aligned, C-contiguous array of " +
                        std::to_string(size) + ", got " + describe(value));
}

py::object appearance_descriptors(py::handle crops, py::handle mean_face_in) {
  const FloatArray images = take(crops, "crops", {kAny, 3, kAny, kAny});
  const FloatArray mean_face = take(mean_face_in, "mean_face", {kAppearanceSize});
  const py::ssize_t count = images.shape(0), side = images.shape(2);
  if (images.shape(3) != side || side < 2 * kAppearanceCellsPerSide)
    throw py::value_error("crops must be float32 [N, 3, S, S] with S of 28 at least, got " +
                          describe(crops));
  FloatArray descriptors({count, static_cast<py::ssize_t>(kAppearanceSize)});
  sample_grid(images.data(), count, static_cast<int>(side), descriptors.mutable_data());
  descriptors_from_grid(descriptors.data(), count, mean_face.data(), descriptors.mutable_data());
  return std::move(descriptors);
}

py::object grid_descriptors(py::handle grid, py::handle mean_face_in) {
  const FloatArray sums = take(grid, "grid", {kAny, 3, kAppearanceGrid, kAppearanceGrid});
  const FloatArray mean_face = take(mean_face_in, "mean_face", {kAppearanceSize});
  FloatArray descriptors({sums.shape(0), static_cast<py::ssize_t>(kAppearanceSize)});
  descriptors_from_grid(sums.data(), sums.shape(0), mean_face.data(), descriptors.mutable_data());
  return std::move(descriptors);
}

AlignmentTemplate alignment_template(py::handle keypoint_weights, const DoubleArray& solution) {
  const FloatArray weights = take(keypoint_weights, "keypoint_weights", {kKeypoints, kLandmarks});
  if (solution.ndim() != 2 || solution.shape(0) != 2 * kKeypoints || solution.shape(1) != 6)
    throw py::value_error("solution must be float64 [10, 6], got " + describe(solution));
  AlignmentTemplate constants;
  std::copy_n(weights.data(), kKeypoints * kLandmarks, &constants.keypoint_weights[0][0]);
  std::copy_n(solution.data(), 2 * kKeypoints * 6, &constants.solution[0][0]);
  return constants;
}

py::tuple place_one_face(const AlignmentTemplate& constants, py::handle landmarks_xy) {
  const FloatArray points = take(landmarks_xy, "landmarks_xy", {kLandmarks, 2});
  const FacePlacement face = place_face(points.data(), constants);
  FloatArray crop_to_frame({2, 3}), box(4);
  std::copy_n(face.crop_to_frame, 6, crop_to_frame.mutable_data());
  std::copy_n(face.box, 4, box.mutable_data());
  return py::make_tuple(std::move(crop_to_frame), std::move(box), face.eyes_px, face.is_finite);
}

py::object transform_all_points(py::handle transforms, py::handle points_xy) {
  const FloatArray affine = take(transforms, "transforms", {kAny, 2, 3});
  const FloatArray points = take(points_xy, "points_xy", {affine.shape(0), kAny, 2});
  FloatArray moved({points.shape(0), points.shape(1), static_cast<py::ssize_t>(2)});
  transform_points(affine.data(), points.data(), points.shape(0), points.shape(1),
                   moved.mutable_data());
  return std::move(moved);
}

bool is_plausible_face_motion(py::handle next, py::handle current, double crop_center,
                              double width_px, double height_px) {
  const FloatArray next_transform = take(next, "next", {2, 3});
  const FloatArray current_transform = take(current, "current", {2, 3});
  return is_plausible_motion(next_transform.data(), current_transform.data(), crop_center, width_px,
                             height_px);
}

py::object pose_of_faces_in_frame(py::handle pose_deg, py::handle transforms) {
  const FloatArray pose = take(pose_deg, "pose_deg", {kAny, 3});
  const FloatArray affine = take(transforms, "transforms", {pose.shape(0), 2, 3});
  FloatArray out({pose.shape(0), static_cast<py::ssize_t>(3)});
  pose_in_frame(pose.data(), affine.data(), pose.shape(0), out.mutable_data());
  return std::move(out);
}

float similarity_of(py::handle first, py::handle second) {
  const FloatArray one = take(first, "first", {kAny});
  const FloatArray other = take(second, "second", {one.shape(0)});
  return cosine_similarity(one.data(), other.data(), one.shape(0));
}

py::tuple filter_points(py::handle points_xy, py::handle previous_xy, double speed_x,
                        double speed_y, double unit_px, double step_s, double min_cutoff_hz,
                        double beta, double derivative_cutoff_hz) {
  const FloatArray points = take(points_xy, "points_xy", {kAny, 2});
  const FloatArray previous = take(previous_xy, "previous_xy", {points.shape(0), 2});
  if (!(step_s > 0)) throw py::value_error("step_s must be above 0, got " + std::to_string(step_s));
  OneEuroState state = {speed_x, speed_y};
  FloatArray out({points.shape(0), static_cast<py::ssize_t>(2)});
  one_euro(points.data(), previous.data(), points.shape(0),
           {unit_px, step_s, min_cutoff_hz, beta, derivative_cutoff_hz}, state, out.mutable_data());
  return py::make_tuple(std::move(out), state.speed_x, state.speed_y);
}

py::object sigmoid_of(py::handle logit) {
  const FloatArray values = take(logit, "logit", {kAny});
  FloatArray out(values.shape(0));
  for (py::ssize_t i = 0; i < values.shape(0); ++i)
    out.mutable_data()[i] = sigmoid(values.data()[i]);
  return std::move(out);
}

py::object decode(py::handle au_logit, py::handle expression_logit, py::handle va, bool squash) {
  const FloatArray units = take(au_logit, "au_logit", {kAny, kActionUnits});
  const FloatArray expressions =
      take(expression_logit, "expression_logit", {units.shape(0), kExpressions});
  const FloatArray values = take(va, "va", {units.shape(0), 2});
  FloatArray scores({units.shape(0), static_cast<py::ssize_t>(kScores)});
  decode_scores(units.data(), expressions.data(), values.data(), units.shape(0), squash,
                scores.mutable_data());
  return std::move(scores);
}

void smooth(py::handle scores, py::handle mean, py::handle on, bool is_first, float weight,
            float va_alpha, float jump, py::handle low, py::handle threshold, py::handle high) {
  auto row = writable_argument<py::array_t<float, py::array::c_style>>(scores, "scores", kScores);
  auto running = writable_argument<py::array_t<float, py::array::c_style>>(mean, "mean", kScores);
  auto decided = writable_argument<BoolArray>(on, "on", kActionUnits);
  const FloatArray off = take(low, "low", {kActionUnits}),
                   middle = take(threshold, "threshold", {kActionUnits}),
                   back = take(high, "high", {kActionUnits});
  // NumPy's bool may hold any byte, C++'s only 0 and 1.
  auto* decided_bytes = reinterpret_cast<uint8_t*>(decided.mutable_data());
  smooth_scores(row.mutable_data(), running.mutable_data(), decided_bytes, is_first,
                {weight, va_alpha, jump}, {off.data(), middle.data(), back.data()});
}

py::tuple shot_change(py::handle pixels, py::handle pixel_format, int row_step, int column_step,
                      py::handle last) {
  py::object owner;
  const FrameView frame = view_frame(pixels, pixel_format, &owner);
  if (row_step < 1 || column_step < 1) throw py::value_error("steps must be at least 1");
  const GridSteps steps = {row_step, column_step};
  FloatArray grid({static_cast<py::ssize_t>(steps.rows(frame)),
                   static_cast<py::ssize_t>(steps.columns(frame))});
  shot_grid(frame, steps, grid.mutable_data());
  if (last.is_none()) return py::make_tuple(std::move(grid), py::none());
  const FloatArray before = take(last, "last", {kAny, kAny});
  if (before.shape(0) != grid.shape(0) || before.shape(1) != grid.shape(1))
    return py::make_tuple(std::move(grid), py::none());
  const double change = grid_change(grid.data(), before.data(), grid.size());
  return py::make_tuple(std::move(grid), change);
}

}  // namespace

void bind_face_steps(py::module_& m) {
  m.def("appearance_descriptors", &appearance_descriptors);
  m.def("descriptors_from_grid", &grid_descriptors);
  py::class_<AlignmentTemplate>(m, "AlignmentTemplate").def(py::init(&alignment_template));
  m.def("place_face", &place_one_face);
  m.def("transform_points", &transform_all_points);
  m.def("is_plausible_motion", &is_plausible_face_motion);
  m.def("pose_in_frame", &pose_of_faces_in_frame);
  m.def("cosine_similarity", &similarity_of);
  m.def("one_euro", &filter_points);
  m.def("sigmoid", &sigmoid_of);
  m.def("decode_scores", &decode);
  m.def("smooth_scores", &smooth);
  m.def("shot_change", &shot_change);
}

}  // namespace faceaffect
