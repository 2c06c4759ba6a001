// vocab.txt and the tokenizer's files. Rows of an embedding are matched by token name, never by position.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/alphabet.h"
#include "interop/hugging_face_config.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::interop {

// For each token of ours (TokenList::of(vocab_size)), its row in the folder's embedding. Without vocab.txt a
// folder of 33 tokens is taken to be in the official order, with a warning. Error: tokens unknown, missing or
// twice, or special token ids in config.json that name other tokens.
std::vector<int64_t> read_vocabulary(const std::filesystem::path& folder, const HuggingFaceConfig& config);

// The token for a letter that a tokenizer does not know: <unk>, or X where there is no <unk>.
std::string unknown_token(const data::TokenList& tokens);

// vocab.txt, special_tokens_map.json and tokenizer_config.json.
void write_tokenizer(const std::filesystem::path& folder, const data::TokenList& tokens);

}  // namespace esmscale::interop
