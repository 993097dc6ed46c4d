// Runs kernel cases from standard input with every instruction set that was compiled in, results to standard output.
// For machines that have no Python: tests/native/test_aarch64.py builds it for 64-bit Arm and runs it in an emulator.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "instruction_sets.h"

using namespace faceaffect;

namespace {

template <typename T>
std::vector<T> take(size_t count) {
  std::vector<T> values(count);
  if (std::fread(values.data(), sizeof(T), count, stdin) != count) std::exit(2);
  return values;
}

void give(const std::vector<float>& values) { std::fwrite(values.data(), sizeof(float), values.size(), stdout); }

NormalizeParams take_normalize() {
  NormalizeParams params;
  const auto numbers = take<float>(6);
  std::memcpy(params.mean, numbers.data(), 12);
  std::memcpy(params.std, numbers.data() + 3, 12);
  return params;
}

void crop(const InstructionSet& set) {
  const auto n = take<int64_t>(6);  // pixel_format, rows, width, channels, size_px, count
  const auto yuv = take<float>(6);
  const auto pixels = take<uint8_t>(static_cast<size_t>(n[1] * n[2] * n[3]));
  const auto pixel_format = static_cast<PixelFormat>(n[0]);
  const int width = static_cast<int>(n[2]);
  const int height = static_cast<int>(pixel_format == PixelFormat::NV12 ? n[1] / 3 * 2 : n[1]);
  FrameView frame = {{pixels.data(), n[2] * n[3], width, height, static_cast<int>(n[3])}, {}, pixel_format, {}, {}};
  frame.yuv = {yuv[0], yuv[1], yuv[2], yuv[3], yuv[4], yuv[5]};
  std::vector<uint8_t> u, v;
  if (pixel_format == PixelFormat::I420) {
    const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    u = take<uint8_t>(static_cast<size_t>(half_width * half_height));
    v = take<uint8_t>(static_cast<size_t>(half_width * half_height));
    frame.chroma = {u.data(), half_width, half_width, half_height, 1};
    frame.chroma_v = {v.data(), half_width, half_width, half_height, 1};
  }
  const auto transforms = take<float>(static_cast<size_t>(6 * n[5]));
  const CropParams params = {static_cast<int>(n[4]), take_normalize()};
  if (pixel_format == PixelFormat::NV12) frame.chroma = {pixels.data() + n[2] * height, n[2], width / 2, height / 2, 2};
  std::vector<float> out(static_cast<size_t>(n[5] * 3 * n[4] * n[4]), -12345.0f);
  set.crop_face(frame, transforms.data(), static_cast<int>(n[5]), params, out.data(), thread_workspace());
  give(out);
}

void normalize(const InstructionSet& set) {
  const auto n = take<int64_t>(2);  // count, plane_px
  const auto pixels = take<uint8_t>(static_cast<size_t>(3 * n[0] * n[1]));
  const NormalizeParams params = take_normalize();
  std::vector<float> out(pixels.size(), -12345.0f);
  set.normalize(pixels.data(), n[0], n[1], params, out.data());
  give(out);
}

void graph(const InstructionSet& set) {
  const auto n = take<int64_t>(2 + kMaxLayers + 1);  // count, layers, widths
  GraphShape shape = {static_cast<int>(n[1]), {}};
  for (int i = 0; i <= shape.layers; ++i) shape.widths[i] = static_cast<int>(n[static_cast<size_t>(2 + i)]);
  const auto weights = take<float>(static_cast<size_t>(graph_size(shape)));
  const auto nodes = take<float>(static_cast<size_t>(n[0] * kNodes * shape.widths[0]));
  std::vector<float> out(static_cast<size_t>(n[0] * kNodes), -12345.0f);
  set.au_gcn(nodes.data(), n[0], shape, weights.data(), out.data(), thread_workspace());
  give(out);
}

}  // namespace

// argv[1]: name of the instruction set
int main(int, char** argv) {
  int count = 0;
  const InstructionSet* sets = instruction_sets(&count);
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(sets[i].name, argv[1]) != 0) continue;
    int64_t op = 0;
    while (std::fread(&op, sizeof op, 1, stdin) == 1) op == 0 ? crop(sets[i]) : op == 1 ? normalize(sets[i]) : graph(sets[i]);
    return 0;
  }
  std::fprintf(stderr, "not compiled in: %s\n", argv[1]);
  return 3;
}
