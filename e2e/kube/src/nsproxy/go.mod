module kop/e2e/nsproxy

go 1.25
