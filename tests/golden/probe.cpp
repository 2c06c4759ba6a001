// What scripts/compare_with_hf.py needs of us and no verb prints.
//   golden_probe gradients MODEL SEQUENCES.json OUT.safetensors   mean loss and its gradients, under their
//   names there golden_probe masks HOLDOUT bert|mask-only TOKENS N            the first N windows of a
//   holdout as SEQUENCES.json
#include "esmscale/core/files/files.h"
#include "esmscale/data/loader/evaluation.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/model/engine.h"
#include "golden/fixtures.h"

#include <iostream>

namespace esmscale::golden {
namespace {

void write_gradients(const std::filesystem::path& model_path, const std::filesystem::path& sequences,
                     const std::filesystem::path& output) {
  const interop::LoadedModel model = interop::load_model(model_path);
  const data::TokenList& tokens = data::TokenList::of(model.weights.config.alphabet);
  const model::DeviceBatch batch = model::to_device(model::pack(tokens, sequences_of(read_json(sequences))),
                                                    model.weights.config, tokens, at::kCPU);
  dist::Gradients gradients(model.weights);
  gradients.zero();
  const double loss =
      model::make_engine(model.weights, {})->forward_backward(batch, gradients).item<double>() /
      static_cast<double>(batch.masked);

  std::vector<TensorEntry> entries;
  std::vector<at::Tensor> values;
  for (size_t p = 0; p < model.weights.table.size(); ++p)
    for (const interop::HuggingFaceTensor& part : interop::hugging_face_tensors(model.weights.table[p])) {
      values.push_back(
          gradients.buffer(p).narrow(0, part.first_row, part.rows).div(static_cast<double>(batch.masked)));
      entries.push_back({.name = part.key, .dtype = "F32", .shape = values.back().sizes().vec()});
    }
  OutputFile file(output);
  file.write(safetensors_header(entries, {{"loss", to_text(Json(loss))}}));
  for (const at::Tensor& tensor : values)
    file.write({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  file.close();
}

// The letters of a token: `_` is <mask>.
char letter_of(const data::TokenList& tokens, int32_t token) {
  return token == tokens.mask() ? '_' : tokens.names()[static_cast<size_t>(token)][0];
}

Json shown_sequence(const data::PackedBatch& batch, size_t i, const data::TokenList& tokens) {
  std::string truth, shown;
  const int32_t first = batch.cu_seqlens[i] + 1, last = batch.cu_seqlens[i + 1] - 1;
  for (int32_t row = first; row < last; ++row) {
    const auto chosen = std::lower_bound(batch.masked_rows.begin(), batch.masked_rows.end(), row);
    const bool is_chosen = chosen != batch.masked_rows.end() && *chosen == row;
    const char letter = letter_of(tokens, batch.tokens[static_cast<size_t>(row)]);
    const auto target = static_cast<size_t>(chosen - batch.masked_rows.begin());
    truth += is_chosen ? letter_of(tokens, batch.targets[target]) : letter;
    shown += is_chosen ? static_cast<char>(std::tolower(letter)) : letter;
  }
  return {{"truth", truth}, {"shown", shown}};
}

void print_masks(const std::filesystem::path& holdout, const std::string& pattern, int64_t alphabet,
                 int64_t count) {
  const data::Dataset dataset(holdout);
  const data::TokenList& tokens = data::TokenList::of(alphabet);
  data::EvaluationBatches batches(
      dataset, {.pattern = pattern == "bert" ? data::MaskPattern::bert : data::MaskPattern::mask_only,
                .max_sequences = count,
                .tokens = &tokens});
  Json sequences = Json::array();
  for (data::PackedBatch batch; batches.next(batch);)
    for (size_t i = 0; i < static_cast<size_t>(batch.real_sequences); ++i)
      sequences.push_back(shown_sequence(batch, i, tokens));
  std::cout << to_text(sequences) << "\n";
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 4 && arguments[0] == "gradients") {
    write_gradients(arguments[1], arguments[2], arguments[3]);
  } else if (arguments.size() == 5 && arguments[0] == "masks") {
    print_masks(arguments[1], arguments[2], std::stoll(arguments[3]), std::stoll(arguments[4]));
  } else {
    std::cerr << "usage: golden_probe gradients MODEL SEQUENCES.json OUT.safetensors\n"
                 "       golden_probe masks HOLDOUT bert|mask-only TOKENS N\n";
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace esmscale::golden

int main(int argc, char** argv) {
  try {
    return esmscale::golden::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
