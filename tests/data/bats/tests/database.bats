setup_file() {
  echo "the database does not answer"
  false
}

@test "stores the order" {
  true
}

@test "finds the order" {
  true
}
